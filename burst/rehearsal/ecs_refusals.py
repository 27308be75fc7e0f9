"""The error answers of the simulated ECS."""


class RefusedError(Exception):
    """An error answer: its code, message and HTTP status, and any further fields of its body."""

    def __init__(self, code: str, message: str, *, status: int = 400, **fields: object) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.body = {"__type": code, "message": message, **fields}


def invalid_parameter(message: str) -> RefusedError:
    """The answer to a call with a parameter that ECS does not accept."""
    return RefusedError("InvalidParameterException", message)


def throttling_refusal(*, disguised: bool) -> RefusedError:
    """The answer to a throttled call. botocore does not recognise the disguised form, so it does not retry it."""
    if disguised:
        return invalid_parameter("Rate exceeded (ErrorCode: Throttling)")
    return RefusedError("ThrottlingException", "Rate exceeded")

"""Events into an SQS queue through boto3, at the rate of a plan. The queue is an option, or QUEUE_URL.

AWS_ENDPOINT_URL=http://127.0.0.1:5000 burst locust locustfiles/queue_send.py --rate 20/s -- --queue URL -t 30s
"""

import functools
from typing import Any

import boto3
from botocore.config import Config
from locust import events, task

from burst.load import Scheduled, measured


@events.init_command_line_parser.add_listener
def add_queue(parser: Any) -> None:
    parser.add_argument("--queue", env_var="QUEUE_URL", required=True, help="the URL of the queue")


@functools.cache
def open_queue() -> Any:
    """One client for all users: to make one takes longer than to send an event."""
    return boto3.client("sqs", config=Config(max_pool_connections=100, retries={"total_max_attempts": 1}))


class QueueSender(Scheduled):
    """A sender of messages. One that was not taken is a failure, and is not sent again."""

    @task
    def send(self) -> None:
        """Send the event that is due."""
        event, queue = self.take_event(), self.environment.parsed_options.queue
        with measured(self, "SQS", "send_message"):
            open_queue().send_message(QueueUrl=queue, MessageBody=event.encode())

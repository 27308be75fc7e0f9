"""`make reference`: writes the reference pages again; with `--check` it only says which of them are stale."""

import sys

from tests.reference_pages import pages


def main(words: list[str]) -> int:
    """1 where a page is stale and only a check was asked for."""
    stale = pages.find_stale()
    if "--check" in words:
        if stale:
            print(
                f"stale in docs/reference: {', '.join(stale)}; write them again with: {pages.COMMAND}", file=sys.stderr
            )
        return int(bool(stale))
    pages.write()
    print(f"wrote {', '.join(stale) or 'nothing: every page is as it was'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`make reference`: writes the reference pages again; with `--check` it only says which of them are stale.

Both refuse a field that has no meaning.
"""

import sys

from tests.reference_pages import pages


def main(words: list[str]) -> int:
    """1 where a key has no meaning, or a page is stale and only a check was asked for."""
    unexplained = pages.find_unexplained()
    if unexplained:
        print(
            f"without a meaning: {', '.join(unexplained)}; write a docstring below the field, or its description",
            file=sys.stderr,
        )
        return 1
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

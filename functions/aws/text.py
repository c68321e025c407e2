r"""Patterns of text that every AWS service that stores or carries a session accepts.

The patterns mean the same to Rust (Pydantic), ECMA-262 (OpenAPI) and Python: no \d, no \p, no look-around.
"""

# Control characters, and U+FFFE and U+FFFF: SQS refuses a message that holds one of these two.
FORBIDDEN = r"\x00-\x1f\x7f-\x9f\ufffe\uffff"

TEXT = f"^[^{FORBIDDEN}]*$"
NONEMPTY_TEXT = f"^[^{FORBIDDEN}]+$"
PHONE_NUMBER = r"^\+[1-9][0-9]{1,14}$"  # E.164


def fold_address(address: str) -> str:
    """Return an email address in lower case. One with other characters than ASCII stays as it is.

    str.lower() folds U+212A, the Kelvin sign, to k: another person's address.
    """
    return address.lower() if address.isascii() else address

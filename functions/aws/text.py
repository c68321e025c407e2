r"""Patterns for text that DynamoDB, EventBridge and SQS accept.

The patterns mean the same to Rust (Pydantic) and to ECMA-262 (OpenAPI). So they avoid \d, \p and look-around.
"""

# Control characters, and U+FFFE and U+FFFF: SQS refuses a message that holds one of these two.
FORBIDDEN = r"\x00-\x1f\x7f-\x9f\ufffe\uffff"

TEXT = f"^[^{FORBIDDEN}]*$"
NONEMPTY_TEXT = f"^[^{FORBIDDEN}]+$"
PHONE_NUMBER = r"^\+[1-9][0-9]{1,14}$"  # E.164
PHONE_NUMBER_MESSAGE = "must be a phone number in E.164 form, such as +15550100001"


def fold_address(address: str) -> str:
    """Return an ASCII email address in lower case, and any other address unchanged.

    str.lower() would turn U+212A, the Kelvin sign, into k. That could be the address of another person.
    """
    return address.lower() if address.isascii() else address

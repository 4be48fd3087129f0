"""Text from files and from others' programs, made fit for a terminal or a figure."""

LONGEST_NAME = 60  # characters in a message: enough for the layers of nested modules


def printable(text: str) -> str:
    r"""Return text with escapes for what could steer a terminal, but for the ends of lines.

    That is control characters, marks that turn the direction of writing, halves of characters.

    >>> printable("α_act\nred \x1b[31m")
    'α_act\nred \\x1b[31m'
    """
    return "\n".join(map(_escaped, text.split("\n")))


def shown(text: object, longest: int = LONGEST_NAME) -> str:
    r"""Return a name or a message from elsewhere as part of a line: escaped, cut in its middle.

    >>> shown("block1.linear"), shown("a\nb\x1b[2J"), shown("block" * 1000, 20)
    ('block1.linear', 'a\\nb\\x1b[2J', 'blockblo...lockblock')
    """
    text = str(text)
    if len(text) > longest:
        head = (longest - 3) // 2
        text = f"{text[:head]}...{text[head + 3 - longest :]}"
    return _escaped(text)


def quoted(value: object) -> str:
    r"""Return whatever was given for an argument as part of a line: its repr, escaped and cut.

    >>> quoted("a\n"), quoted(0.5), quoted(10**5000)
    ("'a\\n'", '0.5', 'an object of type int')
    """
    try:
        return shown(repr(value))
    except Exception:  # integers of thousands of digits, objects of any kind
        return f"an object of type {type(value).__name__}"


def _escaped(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)

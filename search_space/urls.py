"""URLs of databases without their secrets, for files and messages."""

import re

_SECRET_NAME = re.compile(r"password|passwd|passphrase|pwd|secret|token", re.IGNORECASE)
_USER = re.compile(r"(?P<user>[\w+.-]+://[^:/?#@]*):(?P<rest>.*@.*)", re.DOTALL)


def without_secrets(url: str) -> str:
    """The URL without its password and without secret parameters such as `sslpassword`.

    Other texts are returned unchanged.
    """
    start, password, rest = _split_password(url)
    bare = start + rest if password is None else f"{start}@{rest}"
    address, mark, query = bare.partition("?")
    if "://" not in address or not mark:
        return bare
    parts = query.split("&")
    public = [part for part in parts if not _SECRET_NAME.search(part.partition("=")[0])]
    return bare if len(public) == len(parts) else "?".join(filter(None, [address, "&".join(public)]))


def has_secrets(url: str) -> bool:
    """Whether the URL holds a password or a secret parameter."""
    return without_secrets(url) != url


def redact(text: str, url: str) -> str:
    """A message about a URL, such as one of another library, without the secrets of the URL."""
    _, password, rest = _split_password(url)
    pairs = [part.partition("=") for part in rest.partition("?")[2].split("&")]
    secrets = [password, *(value for name, _, value in pairs if _SECRET_NAME.search(name))]
    text = text.replace(url, without_secrets(url))
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return text


def _split_password(url: str) -> tuple[str, str | None, str]:
    """What precedes the password, the password if there is one, and what follows its `@`."""
    found = _USER.fullmatch(url)
    if not found:
        return url.partition("?")[0], None, "".join(url.partition("?")[1:])
    rest = found["rest"]
    # a password may hold an `@` or `?` that should have been escaped; a parameter may hold an `@`
    end, query = rest.rfind("@"), rest.find("?")
    if 0 <= query < end and "=" in rest[query:end] and "@" in rest[:query]:
        end = rest.rfind("@", 0, query)
    return found["user"], rest[:end], rest[end + 1 :]

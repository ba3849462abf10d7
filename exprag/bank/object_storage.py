"""What object storage answers, in words: LanceDB quotes it at the end of pages of its own source.

LanceDB reads where the storage is, and the keys to it, from the environment (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID …; see the
guide of the bank). So neither a bank's URI nor a run's configuration holds a credential.
"""

from __future__ import annotations

import re

from exprag.errors import BankError

_KEYS = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the variables of your provider, where exprag runs."
_REASONS = (
    (r"NoSuchBucket|ContainerNotFound", "there is no such bucket", "Make the bucket, or name another."),
    (r"BadScheme", "a server without TLS is refused", "Set AWS_ALLOW_HTTP=true, if it is a server of your own."),
    (r"status: 40[13]|AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch", "the storage refuses these credentials", _KEYS),
    (r"CredentialsNotLoaded|no providers in chain|169\.254\.169\.254|instance metadata", "no credentials are set", _KEYS),
    (r"kind: Connect|dns error|tcp connect error", "the storage cannot be reached", "AWS_ENDPOINT_URL says where it is."),
    (r"status: 5\d\d", "the storage answers with errors of its own", "Run it again later."),
)
_REMOTE = re.compile(r"RetryError|object_store|store: \"?(S3|GCS|Azure)|reqwest", re.IGNORECASE)


def reason_and_cure(text: str) -> tuple[str, str]:
    """What an error of LanceDB says of the object storage, and what to do; empty where it does not speak of one."""
    if _REMOTE.search(text):
        for pattern, reason, cure in _REASONS:
            if re.search(pattern, text):
                return reason, cure
    return "", ""


def check_uri(uri: str) -> None:
    """Raises BankError, which does not quote it, for a URI with a password in it: it would be written into every run."""
    if "@" in uri.partition("://")[2].partition("/")[0]:
        raise BankError("The URI of the bank holds credentials.", cure=f"Leave them out. {_KEYS}")

"""The one certificate that is believed (`ServerCertificate`): the file it is in, and whether it is valid today."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dbdoctor.probe.tls import TlsSetupError

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_LONGEST = 1_000_000


def read_pinned(path: str) -> bytes:
    """The first certificate of a file in PEM or DER, as DER. Raises TlsSetupError when there is none."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        with Path(path).open("rb") as file:
            data = file.read(_LONGEST)
        pem = _PEM.search(data)
        one = x509.load_pem_x509_certificate(pem[0]) if pem else x509.load_der_x509_certificate(data)
    except OSError as error:
        raise TlsSetupError("root-certificate-unreadable", str(error.strerror or error), path) from error
    except ValueError as error:
        raise TlsSetupError("root-certificate-unreadable", "there is no certificate in it", path) from error
    return one.public_bytes(Encoding.DER)


def name_validity(described: Mapping[str, Any]) -> str | None:
    """The code for a certificate that is not valid yet, or no more. `described` is what `describe_certificate` gives."""
    now = dt.datetime.now(dt.UTC)
    begins, ends = (described.get(name) for name in ("not_before", "not_after"))
    if begins and now < dt.datetime.fromisoformat(begins):
        return "certificate-not-yet-valid"
    return "certificate-expired" if ends and now > dt.datetime.fromisoformat(ends) else None

"""What libpq itself does with connection parameters, so that a target means to us what it means to the driver."""

from dbdoctor.targets.libpq.defaults import complete
from dbdoctor.targets.libpq.names import suggest
from dbdoctor.targets.libpq.options import to_options, to_target
from dbdoctor.targets.libpq.parameters import KNOWN_PARAMETERS, Parameter
from dbdoctor.targets.libpq.password_file import PassfileState, passfile

__all__ = [
    "KNOWN_PARAMETERS",
    "Parameter",
    "PassfileState",
    "complete",
    "passfile",
    "suggest",
    "to_options",
    "to_target",
]

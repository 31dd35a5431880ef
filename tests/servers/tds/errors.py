"""What the server refuses, with SQL Server's own numbers, classes and texts, and what ends a conversation."""

from __future__ import annotations

# number: (class, text); the class is what the field calls severity or level.
MESSAGES: dict[int, tuple[int, str]] = {
    102: (15, "Incorrect syntax near '{0}'."),
    137: (15, 'Must declare the scalar variable "{0}".'),
    156: (15, "Incorrect syntax near the keyword '{0}'."),
    195: (15, "'{0}' is not a recognized built-in function name."),
    207: (16, "Invalid column name '{0}'."),
    208: (16, "Invalid object name '{0}'."),
    229: (14, "The {0} permission was denied on the object '{1}', database '{2}', schema '{3}'."),
    233: (20, "The column '{0}' in table '{1}' cannot be null."),
    245: (16, "Conversion failed when converting the {0} value '{1}' to data type {2}."),
    262: (14, "{0} permission denied in database '{1}'."),
    297: (16, "The user does not have permission to perform this action."),
    300: (14, "{0} permission was denied on object 'server', database 'master'."),
    515: (
        16,
        "Cannot insert the value NULL into column '{0}', table '{1}'; column does not allow nulls. INSERT fails.",
    ),
    535: (
        16,
        (
            "The datediff function resulted in an overflow. The number of dateparts separating two date/time instances "
            "is too large. Try to use datediff with a less precise datepart."
        ),
    ),
    596: (21, "Cannot continue the execution because the session is in the kill state."),
    911: (16, "Database '{0}' does not exist. Make sure that the name is entered correctly."),
    916: (
        14,
        'The server principal "{0}" is not able to access the database "{1}" under the current security context.',
    ),
    976: (14, "The target database, '{0}', is participating in an availability group and is currently not accessible."),
    978: (
        14,
        (
            "The target database ('{0}') is in an availability group and is currently accessible for connections "
            "when the application intent is set to read only."
        ),
    ),
    1205: (
        13,
        (
            "Transaction (Process ID {0}) was deadlocked on lock resources with another process and has been chosen as "
            "the deadlock victim. Rerun the transaction."
        ),
    ),
    1222: (16, "Lock request time out period exceeded."),
    2627: (14, "Violation of PRIMARY KEY constraint. Cannot insert duplicate key in object '{0}'."),
    2714: (16, "There is already an object named '{0}' in the database."),
    2812: (16, "Could not find stored procedure '{0}'."),
    3701: (11, "Cannot drop the table '{0}', because it does not exist or you do not have permission."),
    3902: (16, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION."),
    3903: (16, "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION."),
    4060: (11, 'Cannot open database "{0}" requested by the login. The login failed.'),
    6101: (16, "Session ID {0} is not valid."),
    6102: (14, "User does not have permission to use the KILL statement."),
    6104: (16, "Cannot use KILL to kill your own process."),
    6106: (16, "Process ID {0} is not an active process ID."),
    6107: (14, "Only user processes can be killed."),
    6115: (16, "KILL command cannot be used inside user transactions."),
    8134: (16, "Divide by zero error encountered."),
    8179: (16, "Could not find prepared statement with handle {0}."),
    10053: (16, "An established connection was aborted by the software in your host machine."),
    10928: (
        20,
        (
            "Resource ID : {0}. The session limit for the database is {1} and has been reached. See "
            "'http://go.microsoft.com/fwlink/?LinkId=267637' for assistance."
        ),
    ),
    10929: (
        20,
        "Resource ID : {0}. The server is currently too busy to support requests greater than {1} for this database.",
    ),
    17142: (14, "SQL Server service has been paused. No new connections will be allowed."),
    17187: (16, "SQL Server is not ready to accept new client connections. Wait a few minutes before trying again."),
    17809: (
        16,
        (
            "Could not connect because the maximum number of '{0}' user connections has already been reached. The system "
            "administrator can use sp_configure to increase the maximum value. The connection has been closed."
        ),
    ),
    17830: (20, "Network error code 0x2746 occurred while establishing a connection; the connection has been closed."),
    18401: (14, "Login failed for user '{0}'. Reason: Server is in script upgrade mode."),
    18452: (
        14,
        "Login failed. The login is from an untrusted domain and cannot be used with Integrated authentication.",
    ),
    18456: (14, "Login failed for user '{0}'."),
    18461: (14, "Login failed for user '{0}'. Reason: Server is in single user mode."),
    18470: (14, "Login failed for user '{0}'. Reason: The account is disabled."),
    18486: (14, "Login failed for user '{0}' because the account is currently locked out."),
    18487: (14, "Login failed for user '{0}'.  Reason: The password of the account has expired."),
    18488: (14, "Login failed for user '{0}'.  Reason: The password of the account must be changed."),
    40197: (
        17,
        "The service has encountered an error processing your request. Please try again. Error code 4221.",
    ),
    40501: (20, "The service is currently busy. Retry the request after 10 seconds. Code: 131075."),
    40532: (20, 'Cannot open server "{0}" requested by the login.  The login failed.'),
    40613: (
        17,
        (
            "Database '{0}' on server '{1}' is not currently available.  Please retry the connection later.  If the "
            "problem persists, contact customer support, and provide them the session tracing ID of '{{0000}}'."
        ),
    ),
    40615: (
        14,
        (
            "Cannot open server '{0}' requested by the login. Client with IP address '{1}' is not allowed to access the "
            "server.  To enable access, use the Windows Azure Management Portal or run sp_set_firewall_rule on the master "
            "database to create a firewall rule for this IP address or address range."
        ),
    ),
    49918: (16, "Cannot process request. Not enough resources to process request. Please retry you request later."),
    49919: (16, "Cannot process create or update request. Too many create or update operations in progress."),
    49920: (16, 'Cannot process request. Too many operations in progress for subscription "{0}".'),
}


class SqlError(Exception):
    """An error as the client sees it; `words` fill its text, or `message` replaces that. `also` are sent after it."""

    def __init__(
        self,
        number: int,
        *words: object,
        message: str | None = None,
        severity: int | None = None,
        state: int = 1,
        line: int = 1,
        also: tuple[SqlError, ...] = (),
    ) -> None:
        known_severity, text = MESSAGES.get(number, (16, f"Error {number}."))
        if message is None:
            message = text.format(*words, *["?"] * (text.count("{") - len(words)))
        super().__init__(message)
        self.number = number
        self.message = message
        self.severity = known_severity if severity is None else severity
        self.state = state
        self.line = line
        self.also = also

    @property
    def chain(self) -> tuple[SqlError, ...]:
        """Itself and what is sent after it."""
        return (self, *self.also)


class GoneError(Exception):
    """The client closed, or the test is over: the conversation ends."""


class AttentionError(Exception):
    """The client took its request back."""


class EndError(Exception):
    """The conversation is to end now; `how` is "fin" or "rst"."""

    def __init__(self, how: str = "fin") -> None:
        super().__init__(how)
        self.how = how


class KilledError(Exception):
    """Another session's KILL ends this one."""

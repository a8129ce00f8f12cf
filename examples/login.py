"""Options for a broker that asks for TLS or a login; the two examples import this file."""

from pathlib import Path


def add_arguments(parser):
    """Add the options; the password comes from a file, because others see the command line."""
    parser.add_argument("--tls", action="store_true", help="TLS, with the system's authorities")
    parser.add_argument("--ca", metavar="F", help="TLS, with this authority's certificate")
    parser.add_argument("--cert", metavar="F", help="own certificate, for a broker that wants one")
    parser.add_argument("--cert-key", metavar="F", help="private key of --cert")
    parser.add_argument("--user", metavar="NAME", help="user name at the broker")
    parser.add_argument("--password-file", metavar="F", help="file that holds the password")


def log_in(client, arguments):
    """Give a client what the options say.

    Returns:
        The port that is usual for it.
    """
    if arguments.user:
        password = None
        if arguments.password_file:
            password = Path(arguments.password_file).read_text("utf-8").rstrip("\r\n")
        client.username_pw_set(arguments.user, password)
    if not (arguments.tls or arguments.ca or arguments.cert):
        return 1883
    client.tls_set(arguments.ca, arguments.cert, arguments.cert_key)
    return 8883

import Glibc

extension AdminClient {
    /// A socket whose permissions keep us out is there; all else is out of reach.
    static func kind(_ code: CInt) -> Failure.Kind {
        code == EACCES || code == EPERM ? .notAllowed : .cannotReach
    }

    /// What an error of connect(2) means to an operator, and what to do.
    static func reason(_ code: CInt) -> String {
        switch code {
        case ENOENT, ECONNREFUSED:
            "nothing listens there: is the node running, and is this the right place "
                + "(--socket, --data-dir or --node)?"
        case EACCES, EPERM:
            "permission denied: become root, or join the group of the socket"
        default:
            String(cString: strerror(code))
        }
    }
}

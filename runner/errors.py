"""What a command tells a person without a traceback. Standard library only."""


class CommandError(RuntimeError):
    """A command cannot go on; the message says why and what to do."""


class SetupError(CommandError):
    """The environment could not be made."""


class GraphError(CommandError):
    """A graph that cannot be used."""


class ServerError(CommandError):
    """ComfyUI did not start; the message holds the end of its log."""


class JobError(CommandError):
    """ComfyUI refused a graph, or a node failed; the message is the host's or the node's own."""

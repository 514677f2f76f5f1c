"""The command line ``kcx``: one file a command, thin; heavy imports inside the command.

Lives here: arguments, progress and exit codes. Not here: anything another program would want to call.
"""

"""The part of scripts/demo that runs once everything is installed and built.

`__main__.py` tells the story; `stage.py` holds the clusters and programs that play in it, all
children of this process; `screen.py` is what the watcher sees.
"""

import signal

# Until main() takes over, while the imports run, Ctrl+C ends this without a traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)

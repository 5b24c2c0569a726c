import sys

from har.app.cli.main import main

sys.exit(main())

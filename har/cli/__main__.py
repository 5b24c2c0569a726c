import sys

from har.cli.main import main

sys.exit(main())

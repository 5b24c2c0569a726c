"""`har demo`: a page in the browser that takes a photograph."""


def add(verbs):
    verb = verbs.add_parser(
        "demo",
        help="a page in the browser that takes a photograph",
        description='Start a page that takes a photograph. Needs gradio: pip install "har-still[demo]".',
    )
    verb.add_argument("--model", default="", metavar="NAME|FOLDER", help="default: as for har predict")
    verb.add_argument("--profile", default="", help="default: the active profile of params.yaml")
    verb.add_argument("--port", type=int, default=7860)
    return verb


def run(options) -> int:
    from har.app.demo import page

    # of this machine alone: photographs of people are nobody else's business
    page(options.model, profile=options.profile, root=options.project).launch(
        server_name="127.0.0.1", server_port=options.port, share=False, show_error=True
    )
    return 0

"""`python -m pipelines`, and what the command `posthog-warehouse` calls."""

from pipelines.cli import app


def main() -> None:
    """Run the command line."""
    app(prog_name="posthog-warehouse")


if __name__ == "__main__":
    main()

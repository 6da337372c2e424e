"""`python -m posthog_warehouse.pipelines`, and what the command `posthog-warehouse` calls."""

from posthog_warehouse.pipelines.cli import app


def main() -> None:
    """Run the command line."""
    app(prog_name="posthog-warehouse")


if __name__ == "__main__":
    main()

"""`python -m g2d_bench` is the `g2d-bench` command."""

from g2d_bench.cli.main import main

if __name__ == "__main__":
    main()

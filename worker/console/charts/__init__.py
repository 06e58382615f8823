"""Charts as SVG: points, ticks and bars. No I/O."""

"""The commands as typer declares them, one a module: options and help, no work, so that --help answers at once."""

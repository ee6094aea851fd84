"""What every room of model/ may use: errors, files, memory, devices, the command line."""

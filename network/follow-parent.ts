// Loaded before a child's own program (node --import): ends the process when the one that started it is gone.
// A killed parent cannot end its children, but the kernel closes the pipe it held to their standard input.
process.stdin.on('end', () => process.exit(0)).resume();

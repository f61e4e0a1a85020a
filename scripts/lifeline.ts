// Loaded before a supervised script (node --import). Its stdin is the life line: the kernel closes it when the process
// that started us ends, however that ends, and then this process asks itself to stop.

const PATIENCE = 15_000;

function stop(): void {
  process.kill(process.pid, 'SIGTERM');
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), PATIENCE).unref();
}

process.stdin.on('close', stop).on('error', stop).resume();
// Watching must not keep a script running that is done.
if ('unref' in process.stdin) process.stdin.unref();

// Nobody reads what we print after the parent's death; that must not end us before we have stopped in order.
for (const output of [process.stdout, process.stderr]) output.on('error', () => {});

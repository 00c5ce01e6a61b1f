// A view on a terminal that is redrawn until the user quits it.

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Draws now, then periodically and when the terminal is resized, until q, Ctrl-C or a signal. */
export async function untilQuit(everyMs: number, draw: () => Promise<void>): Promise<void> {
  const { stdin, stdout } = process;
  let ended = false;
  let wake: () => void = () => undefined;
  let quit: () => void = () => undefined;
  const quitted = new Promise<void>((resolve) => {
    quit = resolve;
  });
  const end = (): void => {
    ended = true;
    quit();
  };
  const resized = (): void => wake();
  const pressed = (keys: Buffer): void => {
    if (['q', 'Q', '\u0003'].some((key) => String(keys).includes(key))) end();
  };
  if (stdin.isTTY) stdin.setRawMode(true).on('data', pressed);
  for (const signal of SIGNALS) process.once(signal, end);
  stdout.on('resize', resized);
  try {
    while (!ended) {
      await Promise.race([draw(), quitted]);
      const waited = new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, everyMs).unref();
      });
      await Promise.race([waited, quitted]);
    }
  } finally {
    stdout.off('resize', resized);
    for (const signal of SIGNALS) process.off(signal, end);
    if (stdin.isTTY) stdin.off('data', pressed).setRawMode(false).pause();
  }
}

// A greeter that lets everybody in, for tests of what comes after.
import type { Greeter } from '../../swarm/ports/transport.ts';

const HELLO = new Uint8Array([1]);

export const EVERYBODY_WELCOME: Greeter = {
  hello: () => HELLO,
  welcome: async () => ({ admitted: true, answer: HELLO, reason: '' }),
  accept: async () => ({ admitted: true, answer: HELLO, reason: '' }),
  settle: async () => ({ admitted: true, answer: undefined, reason: '' }),
};

// `kalos authorize-check`: checks an authorization for the actuator, which starts it. Standard input is CBOR: [id, steps, authorization,
// swarm, memory, owned]; standard output is the memory to store if it is valid, and else the reason. It has no privileges and no key.
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { decodeCbor } from '../../swarm/dissemination/cbor.ts';
import { makeVerifier } from '../../swarm/libp2p/identity.ts';
import { judgeAuthorization } from '../action/authorization.ts';

const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array);
const questionSchema = z.tuple([z.string(), z.unknown(), bytes, z.string(), bytes, z.number()]);
const VALID = 0;
const INVALID = 1;

export async function checkAuthorization(): Promise<number> {
  const [id, steps, leave, ofSwarm, memory, owned] = questionSchema.parse(decodeCbor(new Uint8Array(readFileSync(0))));
  const answer = judgeAuthorization(makeVerifier(), {
    id,
    steps,
    leave,
    ofSwarm,
    memory,
    nowMs: Date.now(),
    pinned: owned === 0,
  });
  await new Promise((resolve) => process.stdout.write(answer.ok ? answer.memory : answer.reason, resolve));
  return answer.ok ? VALID : INVALID;
}

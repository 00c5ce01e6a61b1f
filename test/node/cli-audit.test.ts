// What `kalos audit` says of a log and of proofs, and with which code it ends: a script trusts that alone.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { AuditLog } from '../../node/audit/audit-log.ts';
import { conflictText, consistencyText, inclusionText, type ProofText } from '../../node/audit/proof.ts';
import { auditCheck, auditConflicts, auditList, auditProve, auditVerify } from '../../node/cli/audit.ts';
import { EXIT } from '../../node/cli/exit-codes.ts';
import { when } from '../../node/cli/times.ts';
import { makePeer } from '../support/crypto.ts';
import { fakeAgent, linesOf } from '../support/fake-agent.ts';
import { PlainStore } from '../support/store.ts';

const agent = fakeAgent();
const directory = mkdtempSync(join(tmpdir(), 'kalos-audit-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const crypto = await makePeer();
const clock = { wallMs: () => 1_000, monotonicMs: () => 0, after: () => ({ cancel: () => undefined }) };
async function logOf(...subjects: string[]): Promise<AuditLog> {
  const log = new AuditLog(new PlainStore(), clock, crypto);
  await log.open();
  for (const subject of subjects) await log.append('intent', subject, `text ${subject}`);
  return log;
}
const log = await logOf('a', 'b', 'c');
const [inclusion, consistency] = [await log.prove(1), await log.proveConsistency(1)];
const known = <T>(value: T | undefined): T => value ?? expect.fail('there is no proof');
const proofs = { inclusion: inclusionText(known(inclusion)), consistency: consistencyText(known(consistency)) };

describe('a log', () => {
  it('is whole, or broken at a record', async () => {
    agent.answers['GET /v1/audit/verification'] = { ok: true, records: 1, root: 'abc' };
    expect(await agent.run((dir) => auditVerify(dir, 'table'))).toEqual({
      code: EXIT.ok,
      out: 'intact  1 record, root abc\n',
      err: '',
    });
    agent.answers['GET /v1/audit/verification'] = { ok: false, index: 7, reason: 'it was changed' };
    expect(await agent.run((dir) => auditVerify(dir, 'table'))).toEqual({
      code: EXIT.auditBroken,
      out: 'BROKEN  at record 7: it was changed\n',
      err: '',
    });
    expect((await agent.run((dir) => auditVerify(dir, 'csv'))).out).toBe('key,value\nok,false\nindex,7\nreason,it was changed\n');
  });

  it('is listed with moments as who reads has them, or as they are for programs', async () => {
    const text = 'until 1970-01-01T00:00:01Z';
    agent.answers['GET /v1/audit/records/last/5'] = [{ index: 3, atMs: 0, kind: 'intent', subject: 'web', text }];
    const list = (format: 'table' | 'csv') => agent.run((dir) => auditList(dir, 5, format));
    const shown = await list('table');
    expect([shown.code, linesOf(shown.out)]).toEqual([
      EXIT.ok,
      ['INDEX  AT  KIND  ABOUT  WHAT', `3  ${when(0)}  intent  web  until ${when(1_000)}`, ''],
    ]);
    expect((await list('csv')).out).toBe(`index,at,kind,about,what\n3,1970-01-01T00:00:00.000Z,intent,web,${text}\n`);
  });
});

describe('whose audit cannot be believed', () => {
  const conflict = { node: 'mal', peer: 'peer-of-mal', why: 'two heads', proof: { type: 'conflict' } };
  const show = async (standing: unknown, node?: string) => {
    agent.answers['GET /v1/audit/standing'] = standing;
    return agent.run((dir) => auditConflicts(dir, node, 'table'));
  };

  it('is listed after who has signed this one', async () => {
    expect(await show({ signed: [], conflicts: [] })).toEqual({
      code: EXIT.ok,
      out: 'this agent’s audit is signed by no member yet\n',
      err: '',
    });
    const signed = [
      { node: 'ada', size: 3 },
      { node: 'bob', size: 2 },
    ];
    const some = await show({ signed, conflicts: [conflict] });
    expect([some.code, linesOf(some.out)]).toEqual([
      EXIT.auditBroken,
      ['this agent’s audit is signed by ada (3), bob (2)', 'NODE  REASON', 'mal  two heads', ''],
    ]);
  });

  it('is proven, by name or peer id', async () => {
    for (const name of ['mal', 'peer-of-mal']) {
      const { code, out } = await show({ signed: [], conflicts: [conflict] }, name);
      expect([code, out]).toEqual([EXIT.ok, '{\n  "type": "conflict"\n}\n']);
    }
    await expect(show({ signed: [], conflicts: [conflict] }, 'ada')).rejects.toMatchObject({
      code: 'usage',
      message: 'no conflict is known for the audit of ada',
      hint: 'see: kalos audit conflicts',
    });
  });
});

describe('a proof', () => {
  it('is asked of a record or of what the log was, never of both or of neither', async () => {
    agent.answers['GET /v1/audit/records/0/proof'] = { a: 1 };
    agent.answers['GET /v1/audit/consistency/2'] = { b: 2 };
    expect(await agent.run((dir) => auditProve(dir, 0, undefined))).toMatchObject({ code: EXIT.ok, out: '{\n  "a": 1\n}\n' });
    expect(await agent.run((dir) => auditProve(dir, undefined, 2))).toMatchObject({ code: EXIT.ok, out: '{\n  "b": 2\n}\n' });
    for (const [index, since] of [
      [undefined, undefined],
      [1, 2],
    ])
      await expect(auditProve(agent.directory, index, since)).rejects.toThrow('give a record index, or --since SIZE');
  });

  const file = join(directory, 'proof');
  const check = (content: string, format: 'table' | 'json' = 'table') => {
    writeFileSync(file, content);
    return agent.run(() => auditCheck(file, format));
  };
  const of = (proof: ProofText, given: Record<string, unknown> = {}): string => JSON.stringify({ ...proof, ...given });

  it('of a record, or of an older log, is valid, and is not once a byte is another', async () => {
    const signer = crypto.self;
    expect(await check(of(proofs.inclusion))).toEqual({
      code: EXIT.ok,
      out: `valid  record 1, in the log of ${signer} at 3 records\n`,
      err: '',
    });
    expect(await check(of(proofs.consistency))).toMatchObject({
      code: EXIT.ok,
      out: `valid  the first 1 record, in the log of ${signer} at 3 records\n`,
    });
    expect(JSON.parse((await check(of(proofs.inclusion), 'json')).out)).toEqual({
      ...{ outputVersion: 1, valid: true, type: 'inclusion', signer, size: 3 },
    });
    for (const content of [
      of(proofs.inclusion, { path: [] }),
      of(proofs.consistency, { oldRoot: '0'.repeat(64) }),
      of(proofs.inclusion, { head: { ...JSON.parse(of(proofs.inclusion)).head, atMs: 5 } }),
    ]) {
      const { code, out } = await check(content);
      expect([code, out]).toEqual([EXIT.auditBroken, expect.stringMatching(/^NOT valid {2}.+\n$/)]);
    }
  });

  it('that an agent signed two logs is proven, or not', async () => {
    const [one, other] = [known(await (await logOf('a', 'b')).prove(0)).head, known(await (await logOf('x', 'y')).prove(0)).head];
    const conflict = conflictText({ earlier: one, later: other, instead: null });
    const { code, out } = await check(of(conflict));
    expect([code, out]).toEqual([
      EXIT.ok,
      expect.stringMatching(new RegExp(`^PROVEN {2}.+: ${crypto.self} signed 2 records, then a log of 2 without them\\n$`)),
    ]);
    expect(JSON.parse((await check(of(conflict), 'json')).out)).toMatchObject({
      ...{ valid: true, type: 'conflict', signer: crypto.self, why: expect.any(String) },
    });
    const same = await check(of(conflictText({ earlier: one, later: one, instead: null })));
    expect([same.code, same.out]).toEqual([EXIT.auditBroken, expect.stringMatching(/^NOT valid {2}.+\n$/)]);
  });

  it('is a file that holds one', async () => {
    const hint = 'create one with: kalos audit prove';
    await expect(check('no JSON')).rejects.toMatchObject({
      ...{ code: 'usage', message: expect.stringContaining(`${file} is not a proof: `), hint },
    });
    await expect(check('{"type":"inclusion"}')).rejects.toMatchObject({
      ...{ code: 'usage', message: expect.stringContaining(`${file} is not a proof: record`), hint },
    });
    await expect(auditCheck(join(directory, 'gone'), 'table')).rejects.toThrow('is not a proof: No such file or directory');
  });
});

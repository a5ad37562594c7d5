// The part of the engine contract that awareness needs: events that we post into the engine's log, find again and delete.
import { codeOf, deadlineMs, type Stage } from './engine-stage';

export function eventContract(on: () => Stage): void {
  // Custom ids stay used: each run of the contract takes others.
  let lastCustomId = Math.floor(Math.random() * 2 ** 30);
  const nextCustomId = (): number => (lastCustomId += 1);
  const post = async (description: string, customId = nextCustomId()): Promise<{ id: string; customId: number }> => {
    const posted = await on().engine.postEvent({ customId, severity: 'alert', description });
    if (posted === undefined) throw new Error(`custom id ${customId} was used before`);
    return posted;
  };
  const listedIds = async (): Promise<readonly string[]> => (await on().engine.listPostedEvents()).map(({ id }) => id);

  test.each(['normal', 'warning', 'error', 'alert'] as const)('of severity %s is listed as it was posted, about its VM', async (severity) => {
    const { engine, vm } = on();
    const customId = nextCustomId();
    const description = `contract: ${severity} about a backup, "quoted" & <marked>`;
    const posted = await engine.postEvent({ customId, severity, description, vmId: vm.id });
    expect(posted).toMatchObject({ id: expect.stringMatching(/^\d+$/) as string, customId, severity, description });
    expect(Math.abs(Date.parse(posted?.time ?? '') - Date.now())).toBeLessThan(deadlineMs);
    expect((await engine.listPostedEvents()).filter((event) => event.customId === customId)).toEqual([posted]);
    // Words without quotes around them are no search, and there is no writing a quote within them.
    expect((await engine.listEvents({ search: `"contract: ${severity} about a backup"` })).map(({ id, vmId }) => ({ id, vmId }))).toEqual([{ id: posted?.id, vmId: vm.id }]);
    await engine.deleteEvent(posted?.id ?? '');
  });

  test('are listed newest first, and nothing that the engine says by itself', async () => {
    const [older, newer] = [await post('contract: older'), await post('contract: newer')];
    const ours = (await listedIds()).filter((id) => id === older.id || id === newer.id);
    expect(ours).toEqual([newer.id, older.id]);
    expect((await on().engine.listPostedEvents()).filter(({ customId }) => customId === -1)).toEqual([]);
    for (const { id } of [older, newer]) await on().engine.deleteEvent(id);
  });

  test('a custom id is taken once, also by an event that has been deleted', async () => {
    const { engine } = on();
    const { id, customId } = await post('contract: first');
    await expect(engine.postEvent({ customId, severity: 'normal', description: 'contract: second' })).resolves.toBeUndefined();
    await engine.deleteEvent(id);
    await expect(engine.postEvent({ customId, severity: 'normal', description: 'contract: third' })).resolves.toBeUndefined();
    expect((await engine.listPostedEvents()).filter((event) => event.customId === customId)).toEqual([]);
  });

  test('a deleted one is not listed; deleting it again, or one that never was, is fine', async () => {
    const { engine } = on();
    const { id } = await post('contract: to be deleted');
    expect(await listedIds()).toContain(id);
    await engine.deleteEvent(id);
    expect(await listedIds()).not.toContain(id);
    await expect(engine.deleteEvent(id)).resolves.toBeUndefined();
    await expect(engine.deleteEvent('999999999')).resolves.toBeUndefined();
  });

  test('a long text is cut, not refused', async () => {
    const { engine } = on();
    const posted = await engine.postEvent({ customId: nextCustomId(), severity: 'normal', description: `contract: ${'long '.repeat(2000)}` });
    expect(posted?.description).toMatch(/^contract: long long/);
    expect(posted?.description.length).toBeLessThanOrEqual(5000);
    await engine.deleteEvent(posted?.id ?? '');
  });

  test('who may only look is refused with "forbidden"', async () => {
    const { reader } = on();
    const { id } = await post('contract: not the reader\'s');
    expect(await codeOf(reader.postEvent({ customId: nextCustomId(), severity: 'normal', description: 'not allowed' }))).toBe('engine.forbidden');
    expect(await codeOf(reader.deleteEvent(id))).toBe('engine.forbidden');
    await on().engine.deleteEvent(id);
  });

  test('an engine without a backup of itself tells no dates', async () => {
    await expect(on().engine.engineBackupDates()).resolves.toEqual({});
  });
}

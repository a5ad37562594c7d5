"""Backs a VM up as an ISV's program would: with Temporal's Python SDK and Holdfast's published schemas, and nothing else of Holdfast.

Usage: start_backup.py <address> <namespace> <schema directory> <request JSON>

Every name that goes over the wire (flow, queue, id, policies, messages) is read from the schemas. The run is paused before it copies,
given a limit, resumed, and set free, so that there is something to see. Prints one JSON object; a request that the schema refuses is told
without starting anything (exit code 2), a failed run with its code and details (exit code 1).
"""
import asyncio
import json
import os
import pathlib
import re
import sys
import uuid

from jsonschema import Draft202012Validator
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError

DEADLINE_SECONDS = 120
# So slow that the copy is seen whatever else the machine does; the limit is taken away then.
BYTES_PER_SECOND = 8 * 2**20


class Published:
    """What `holdfast schema` prints."""

    def __init__(self, directory, flow):
        index = self.read(directory / 'index.json')
        self.flow = self.read(directory / index['flows'][flow]['file'])
        self.messages = self.read(directory / index['messages']['file'])

    @staticmethod
    def read(file):
        return json.loads(file.read_text(encoding='utf-8'))

    def problems_of(self, request):
        validator = Draft202012Validator(self.flow['input'])
        return sorted('%s: %s' % (error.json_path, error.message) for error in validator.iter_errors(request))

    def workflow_id(self, request):
        return re.sub(r'<(\w+)>', lambda field: str(request.get(field[1], uuid.uuid4())), self.flow['workflowId'])

    def message(self, kind, name):
        """The message's document, if this flow takes it at all."""
        if name not in self.flow['messages'] or name not in self.messages[kind]:
            raise KeyError('%s does not take %s' % (self.flow['flow'], name))
        return self.messages[kind][name]

    def checked(self, schema, value):
        Draft202012Validator(schema).validate(value)
        return value


async def start(client, published, request):
    flow = published.flow
    return await client.start_workflow(
        flow['workflowType'], request, id=published.workflow_id(request), task_queue=flow['taskQueue'],
        id_conflict_policy=WorkflowIDConflictPolicy[flow['workflowIdConflictPolicy']],
        id_reuse_policy=WorkflowIDReusePolicy[flow['workflowIdReusePolicy']])


async def progress_of(handle, published):
    return published.checked(published.message('queries', 'progress')['result'], await handle.query('progress'))


async def until(handle, published, ended, holds):
    while not ended.is_set():
        progress = await progress_of(handle, published)
        if holds(progress):
            return progress
        await asyncio.sleep(0.1)
    raise RuntimeError('the run has ended before that')


async def set_bandwidth(handle, published, bytes_per_second):
    update = published.message('updates', 'setBandwidth')
    limit = published.checked(update['arguments'][0], {'bytesPerSecond': bytes_per_second})
    return published.checked(update['result'], await handle.execute_update('setBandwidth', limit))


async def steer(handle, published, ended):
    """Pauses, limits and resumes; returns the progress that was seen in each state."""
    published.message('signals', 'pause')
    await handle.signal('pause')
    paused = await until(handle, published, ended, lambda progress: progress['paused'] and progress['phase'] == 'copy')
    answer = await set_bandwidth(handle, published, BYTES_PER_SECOND)
    published.message('signals', 'resume')
    await handle.signal('resume')
    copying = await until(handle, published, ended, lambda progress: any(disk['dataBytes'] > 0 for disk in progress['disks']))
    await set_bandwidth(handle, published, None)
    return {'paused': paused, 'limit': answer, 'copying': copying}


async def backup(address, namespace, published, request):
    client = await Client.connect(address, namespace=namespace)
    handle = await start(client, published, request)
    seen = {'workflowId': handle.id}
    ended = asyncio.Event()
    steering = asyncio.ensure_future(asyncio.wait_for(steer(handle, published, ended), DEADLINE_SECONDS))
    try:
        result = asyncio.ensure_future(handle.result())
        await asyncio.wait([steering, result], return_when=asyncio.FIRST_COMPLETED)
        # A run that is refused never comes to its copy.
        if not (result.done() and result.exception()):
            seen.update(await steering)
        seen['result'] = published.checked(published.flow['output'], await result)
        return seen, 0
    except WorkflowFailureError as error:
        if not isinstance(error.cause, ApplicationError):
            raise
        details = published.checked(published.messages['failure']['firstDetail'], error.cause.details[0])
        return {**seen, 'failure': {'code': error.cause.type, 'message': error.cause.message, 'details': details}}, 1
    except BaseException:
        # Nobody is left who would resume it.
        await handle.cancel()
        raise
    finally:
        # Not cancelled: Python must not end while the SDK's threads still carry a call.
        ended.set()
        await asyncio.gather(steering, return_exceptions=True)


def main():
    address, namespace, directory, request = sys.argv[1:]
    published = Published(pathlib.Path(directory), 'backupVm')
    request = json.loads(request)
    problems = published.problems_of(request)
    seen, code = ({'problems': problems}, 2) if problems else asyncio.run(backup(address, namespace, published, request))
    print(json.dumps(seen, indent=2))
    return code


if __name__ == '__main__':
    ended = main()
    sys.stdout.flush()
    # Not sys.exit: the SDK's threads may still be at work, and an interpreter that goes down under them aborts (PyGILState_Release).
    os._exit(ended)

"""An orchestrating program in another language: three sandboxes side by side, over MCP alone, with the Python SDK.

Arguments: stdio|http, then JSON: { command, args, env } or { url, token }, and the three projects. Prints JSON, a line for
each project, as it ends.
"""

import asyncio
import json
import sys

import httpx2
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

# Works, waits for a person outside to say go on, and works on: what was said before is not lost.
work = "echo began | tee began.txt; until [ -e go ]; do sleep 0.2; done; echo ended $(cat began.txt); id -u"


def answer(result):
    if result.is_error:
        raise RuntimeError(result.content[0].text)
    return result.structured_content


async def one(client, project, line):
    made = answer(await client.call_tool("create_session", {"projectPath": project, "agent": "none"}))
    session = {"sessionId": made["sessionId"]}
    line({"project": project, "created": made["sessionId"]})
    ran = answer(await client.call_tool("execute_command", {**session, "command": work}))
    logs = answer(await client.call_tool("get_session_logs", session))
    gone = answer(await client.call_tool("destroy_session", session))
    line({"project": project, "stdout": ran["stdout"], "code": ran["exitCode"], "logs": len(logs["entries"]), "gone": gone["removed"]})


async def main():
    kind, said, *projects = sys.argv[1:]
    given = json.loads(said)
    line = lambda value: print(json.dumps(value), flush=True)
    if kind == "stdio":
        async with Client(StdioServerParameters(**given)) as client:
            await drive(client, projects, line)
        return
    headers = {"authorization": f"Bearer {given['token']}"}
    async with httpx2.AsyncClient(headers=headers, timeout=120, trust_env=False) as http:
        async with Client(streamable_http_client(given["url"], http_client=http)) as client:
            await drive(client, projects, line)


async def drive(client, projects, line):
    names = [tool.name for tool in (await client.list_tools()).tools]
    line({"tools": names})
    await asyncio.gather(*(one(client, project, line) for project in projects))


asyncio.run(main())

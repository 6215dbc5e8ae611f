#!/usr/bin/env python3
"""The official OpenAI client and schemathesis against `medvision serve`; skips without them.

server_clients_test.py PROGRAM [EXAMPLES]
"""
import base64
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PICTURE = os.path.join(ROOT, "tests/data/samples/phantom1.png")

try:
    import openai
except ImportError:
    openai = None
try:
    import schemathesis
except ImportError:
    schemathesis = None


def check_openai(url):
    client = openai.OpenAI(base_url=url + "v1", api_key="s3cret", max_retries=0)
    hello = [{"role": "user", "content": "Hello"}]
    assert client.models.list().data[0].id
    whole = client.chat.completions.create(model="any", messages=hello, max_tokens=12)
    text = whole.choices[0].message.content
    assert text and whole.usage.completion_tokens <= 12
    stream = client.chat.completions.create(model="any", messages=hello, max_tokens=12, stream=True,
                                            stream_options={"include_usage": True})
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == text
    assert chunks[-1].usage == whole.usage or \
        chunks[-1].usage.total_tokens == whole.usage.total_tokens
    with open(PICTURE, "rb") as f:
        data = "data:image/png;base64," + base64.b64encode(f.read()).decode()
    seen = client.chat.completions.create(model="any", max_tokens=8, messages=[{
        "role": "user", "content": [{"type": "image_url", "image_url": {"url": data}},
                                    {"type": "text", "text": "What is this?"}]}])
    assert seen.usage.prompt_tokens > whole.usage.prompt_tokens
    logs = client.chat.completions.create(model="any", messages=hello, max_tokens=4, logprobs=True,
                                          top_logprobs=2)
    content = logs.choices[0].logprobs.content
    assert len(content) == 4 and len(content[0].top_logprobs) == 2
    chunks = list(client.chat.completions.create(model="any", messages=hello, max_tokens=60,
                                                 extra_body={"ignore_eos": True}, stream=True,
                                                 logprobs=True, top_logprobs=2))
    told = [c.choices[0].logprobs.content for c in chunks if c.choices[0].logprobs]
    assert sum(told, [])[:4] == content
    assert all(c.choices[0].logprobs for c in chunks if c.choices[0].delta.content)
    assert client.completions.create(model="any", prompt="Hello", max_tokens=4).choices[0].text
    for wrong, kind in (({"temperature": -1}, openai.BadRequestError),
                        ({"max_tokens": 10 ** 8}, openai.BadRequestError)):
        try:
            client.chat.completions.create(model="any", messages=hello, **wrong)
        except kind as e:
            assert e.status_code == 400 and e.type == "invalid_request_error" and e.param
        else:
            raise AssertionError(wrong)
    stranger = openai.OpenAI(base_url=url + "v1", api_key="wrong", max_retries=0)
    try:
        stranger.models.list()
    except openai.AuthenticationError:
        pass
    else:
        raise AssertionError("a wrong key was taken")
    print("OpenAI client %s: chat, stream, image, logprobs, completions, errors" %
          openai.__version__)


def check_readme(url):
    """The README's own lines of Python, with this server's address and key."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        code = next(b for b in f.read().split("```python\n")[1:] if b.startswith("from openai"))
    code = code.split("```")[0]
    assert "http://127.0.0.1:8000/" in code and '"none"' in code
    code = code.replace("http://127.0.0.1:8000/", url).replace('"none"', '"s3cret"')
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.strip(), (done.stdout, done.stderr)
    print("README's Python: " + done.stdout.strip())


def check_schema(url, examples):
    program = os.path.join(os.path.dirname(sys.executable), "schemathesis")
    with tempfile.TemporaryDirectory() as folder:  # for the notes it leaves where it runs
        done = subprocess.run(
            [program, "run", url + "openapi.json", "--url", url, "-H", "Authorization: Bearer s3cret",
             "-n", str(examples), "--seed", "1", "--request-timeout", "60", "--checks",
             "not_a_server_error,status_code_conformance,content_type_conformance,"
             "response_schema_conformance"], capture_output=True, text=True, cwd=folder)
    print(done.stdout[-3000:])
    assert done.returncode == 0, done.stderr[-2000:]


def main():
    if not openai and not schemathesis:
        print("skip: neither openai nor schemathesis is installed (tests/requirements.txt)")
        return 77
    server = subprocess.Popen([sys.argv[1], "serve", "--port", "0", "--api-key", "s3cret",
                               "--quiet", "--max-new-tokens", "64"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True)
    line = server.stdout.readline()
    if "listening" not in line:
        print("skip: " + server.stderr.read())
        return 77
    url = line.split()[-1]
    try:
        if openai:
            check_openai(url)
            check_readme(url)
        if schemathesis:
            check_schema(url, int(sys.argv[2]) if len(sys.argv) > 2 else 10)
        assert server.poll() is None, "the server ended"
    finally:
        server.terminate()
        server.communicate(timeout=60)
    assert server.returncode == 0, server.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A page on which persons grade written answers: by question, with the rubric beside the answer.

It is served on this machine only, to who has the token in its address. Students' text is sanitized, and the
page's Content-Security-Policy lets nothing run but `written.js`. Whose answer it is stays hidden.
"""

import asyncio
import hashlib
import hmac
import re
import secrets
from html import escape
from pathlib import Path

import nbformat
from markupsafe import Markup
from tornado import httpserver, netutil, web

from grading.pipeline import regrade, returned
from grading.pipeline.assignments import ROOT, starter_sources
from grading.pipeline.feedback import markdown, templates
from grading.pipeline.gradebook import Book

HERE = Path(__file__).parent
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
ITEM = re.compile(r"^(\d+)\. (.*?)(?=^\d+\. |^\S|\Z)", re.MULTILINE | re.DOTALL)
RATING = re.compile(r"(Full|Half|None): (.*?)(?=\s(?:Half|None): |\Z)", re.DOTALL)
BEGIN = "<!-- ### BEGIN SOLUTION -->"
SHARES = {"Full": 1, "Half": 0.5, "None": 0}
CHANGED = (
    "Somebody else graded this answer while you had it open: {points}{comment}\n"
    "Yours is below and not saved. Save again to replace theirs."
)


def rubric(model, most):
    """Return the lines of a model answer's rubric: dicts of item, points and text.

    A rubric is a numbered list below "**Rubric**". Each item earns the same share of all points. It may name
    what earns all of them, half or none: "Full: ... Half: ... None: ...".
    """
    items = ITEM.findall(model.partition("**Rubric")[2])
    lines = []
    for number, text in items:
        text = " ".join(re.sub(r"[*`]", "", text).split())
        for rating, meaning in RATING.findall(text) or [("Full", text)]:
            points = round(SHARES[rating] * most / len(items), 2)
            lines.append({"item": number, "points": points, "text": f"{number}. {rating}: {meaning.strip()}"})
    return lines


def models(assignment):
    """Return each written answer's question and model answer, as the solution has them."""
    path = ROOT / "exercises" / "solution" / assignment.name / f"{assignment.name}.ipynb"
    sources, found = starter_sources(path), {}
    for name, _ in assignment.written:
        question, _, model = sources[name].partition(BEGIN)
        found[name] = question.strip(), re.sub(r"<!--.*?-->", "", model).strip()
    return found


class Answers:
    """The written answers of a `Run`, in the gradebook and in autograded/."""

    def __init__(self, run):
        self.run, self.assignment = run, run.assignment
        self.book = Book(run.coursedir, run.config, run.assignment)
        self.book.open()
        self.models, self.most = models(run.assignment), dict(run.assignment.written)

    def all(self, name):
        """Return the answers to a question, by ids that hide whose they are, in an order of no meaning."""
        found = {self._hidden(name, row["student"]): row for row in self.book.written(name)}
        return dict(sorted(found.items()))

    @staticmethod
    def _hidden(name, student):
        return hashlib.sha256(f"{name}\0{student}".encode()).hexdigest()[:16]

    def with_text(self, name, row):
        """Return an answer with its text, without the question, as HTML.

        `lost` means that it is not in its own cell.
        """
        place = self.run.place(row["student"], self.run.coursedir.autograded_directory)
        notebook = nbformat.read(place / f"{self.run.name}.ipynb", 4)
        text = returned.work(notebook, name)
        given = starter_sources(self.assignment.notebook)
        lost = not isinstance(text, str) or text.strip() in ("", given.get(name))
        if lost:
            own = returned.work(notebook, None)
            new = [source for source in own if source.strip() not in ("", *given.values())]
            html = "".join(f"<pre>{escape(source)}</pre>" for source in new)
        else:
            html = markdown(text.strip().removeprefix(self.models[name][0]))
        return row | {"html": Markup(html), "lost": lost}  # noqa: S704 (sanitized or escaped above)


class _Page(web.RequestHandler):
    """A page for who has the token: in the address first, and in a cookie from then on."""

    @property
    def answers(self):
        return self.settings["answers"]

    def prepare(self):
        names = self.settings["hosts"]
        if self.request.host not in names:
            raise web.HTTPError(403, reason=f"open this page as {names[0]}")
        token, given = self.settings["token"], self.get_query_argument("token", "")
        if hmac.compare_digest(given.encode(), token.encode()):
            self.set_cookie("written_token", token, httponly=True, samesite="Strict")
            self.redirect("/")
        elif not hmac.compare_digest(self.get_cookie("written_token", "").encode(), token.encode()):
            raise web.HTTPError(403, reason="open the address that the command printed, with its token")

    def set_default_headers(self):
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")

    def write_error(self, status_code, **settings):
        self.finish(f"<!DOCTYPE html><title>{status_code}</title><p>{escape(self._reason)}</p>")

    def show(self, page, **settings):
        self.finish(templates().get_template("written.html.j2").render(page=page, **settings))

    def question(self, name):
        if name not in self.answers.most:
            raise web.HTTPError(404, reason=f"{self.answers.run.name} has no written answer {name}")
        return self.answers.all(name)

    def title(self, name):
        """Return the first line of a question."""
        return self.answers.models[name][0].split("\n")[0].lstrip("# ") or name


class _Index(_Page):
    def get(self):
        rows = []
        for name in self.answers.most:
            found = self.question(name)
            waiting = [key for key, row in found.items() if row["needs"]]
            if found:
                first = next(iter([*waiting, *found]))
                rows.append((name, self.title(name), len(found) - len(waiting), len(found), first))
        self.show("index", title=f"Written answers of {self.answers.run.name}", questions=rows)


class _Print(_Page):
    def get(self, name):
        answers = [
            self.answers.with_text(name, row) | {"key": key} for key, row in self.question(name).items()
        ]
        question = Markup(markdown(self.answers.models[name][0].partition("\n")[2]))  # noqa: S704 (sanitized)
        about = {"name": name, "question": question, "most": self.answers.most[name]}
        self.show("print", title=f"All answers to {self.title(name)}", answers=answers, **about)


class _Grade(_Page):
    def one(self, name, key):
        found = self.question(name)
        if key not in found:
            raise web.HTTPError(404, reason="this answer is gone: go back to all questions")
        return found, [*found].index(key), found[key]

    def get(self, name, key, notice="", given=None):
        found, at, row = self.one(name, key)
        keys, answer, most = [*found], self.answers.with_text(name, row), self.answers.most[name]
        points = "" if answer["needs"] or answer["points"] is None else f"{answer['points']:g}"
        points, comment = given or (points, answer["comment"])
        self.show(
            "grade",
            title=f"{self.title(name)}: answer {at + 1} of {len(keys)}",
            name=name,
            answer=answer,
            most=most,
            rubric=rubric(self.answers.models[name][1], most),
            model=Markup(markdown("\n\n".join(self.answers.models[name]))),  # noqa: S704 (sanitized)
            xsrf=Markup(self.xsrf_form_html()),  # noqa: S704 (tornado's own)
            before=keys[at - 1] if at else "",
            after=keys[at + 1] if at + 1 < len(keys) else "",
            points=points,
            comment=comment,
            notice=notice,
        )

    def post(self, name, key):
        found, at, row = self.one(name, key)
        text = self.get_body_argument("points")
        comment = self.get_body_argument("comment", "").replace("\r", "")
        most = self.answers.most[name]
        try:
            points = float(text)
        except ValueError:
            points = -1
        if not 0 <= points <= most:
            self.set_status(400)
            return self.get(name, key, f"Expected points from 0 to {most:g}, got {text!r}", (text, comment))
        now = self.answers.book.give(row["student"], name, points, comment, self.get_body_argument("seen"))
        if now:
            self.set_status(409)
            theirs = "no points" if now["points"] is None else f"{now['points']:g} points"
            said = f", {now['comment']}" if now["comment"] else ""
            return self.get(name, key, CHANGED.format(points=theirs, comment=said), (text, comment))
        if row["points"] not in (None, points):
            change = regrade.change(name, row["points"], points)
            run = self.answers.run
            regrade.note(run.changes, run.started, row["student"], "graded again by hand", [change])
        keys = [*found]
        waiting = [other for other in keys[at + 1 :] + keys[:at] if found[other]["needs"]]
        return self.redirect(f"/grade/{name}/{waiting[0]}" if waiting else "/")


class _File(_Page, web.StaticFileHandler):
    """The style and the script, under the same headers."""

    def get_cache_time(self, *about):
        return 0


def application(run, port, token):
    """Return the page's application for a `Run`."""
    pages = [
        (r"/", _Index),
        (r"/print/(\w+)", _Print),
        (r"/grade/(\w+)/([0-9a-f]+)", _Grade),
        (r"/static/(written\.css|written\.js)", _File, {"path": HERE}),
    ]
    hosts = [f"{host}:{port}" for host in ("127.0.0.1", "localhost")]
    cookies = {"xsrf_cookies": True, "xsrf_cookie_kwargs": {"httponly": True, "samesite": "Strict"}}
    return web.Application(pages, answers=Answers(run), token=token, hosts=hosts, **cookies)


def serve(run):
    """Serve the page until the command is stopped."""

    async def forever():
        sockets = netutil.bind_sockets(0, "127.0.0.1")
        port, token = sockets[0].getsockname()[1], secrets.token_urlsafe(24)
        httpserver.HTTPServer(application(run, port, token)).add_sockets(sockets)
        print(f"Open http://127.0.0.1:{port}/?token={token} to grade. Stop with Control-C.", flush=True)
        await asyncio.Event().wait()

    asyncio.run(forever())

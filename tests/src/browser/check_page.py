"""Opens a report page in headless Chromium, narrow and wide, light and dark, and prints what it found as JSON: problems, the
plots by their names, and how many pictures there are.

check_page.py PAGE [FOLDER]: with FOLDER, screenshots are left there.
"""

import json
import pathlib
import shutil
import sys

from playwright.sync_api import sync_playwright

# Everything whose text or content does not fit its box, and text of plots that is cut off by the plot's edge.
OVERFLOW = """() => {
  const found = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) found.push(`the page is ${root.scrollWidth} wide, the window ${root.clientWidth}`);
  const name = (e) => `${e.tagName.toLowerCase()}.${e.getAttribute('class') || ''} “${(e.textContent || '').trim().slice(0, 40)}”`;
  for (const e of document.querySelectorAll('main *')) {
    if (e.closest('svg') || e.closest('.scroll') || getComputedStyle(e).display === 'inline') continue;
    if (e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 1) found.push(`${name(e)} is wider than its box`);
  }
  for (const svg of document.querySelectorAll('svg.plot')) {
    const edge = svg.getBoundingClientRect();
    for (const text of svg.querySelectorAll('text')) {
      const box = text.getBoundingClientRect();
      const out = box.left < edge.left - 1 || box.right > edge.right + 1 || box.top < edge.top - 1 || box.bottom > edge.bottom + 1;
      if (out) found.push(`${name(text)} leaves the plot ${svg.getAttribute('aria-label')}`);
    }
  }
  for (const image of document.images) {
    if (!image.complete || image.naturalWidth === 0) found.push(`a picture is broken: ${image.alt}`);
  }
  return found;
}"""


def look(browser, page_file, width, scheme, folder):
    problems = []
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.on("console", lambda message: problems.append(f"console {message.type}: {message.text}"))
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    own = page_file.as_uri()
    page.on("request", lambda request: request.url.startswith((own, "data:")) or problems.append(f"asked for {request.url}"))
    page.goto(own)
    page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true; })")
    page.evaluate("document.querySelectorAll('img').forEach(image => { image.loading = 'eager'; })")
    page.wait_for_function("[...document.images].every(image => image.complete)")
    problems += page.evaluate(OVERFLOW)
    plots = page.evaluate("[...document.querySelectorAll('svg.plot')].map(svg => svg.getAttribute('aria-label'))")
    sections = page.evaluate("[...document.querySelectorAll('section')].map(section => section.id)")
    pictures = page.evaluate("document.images.length")
    if folder:
        page.screenshot(path=folder / f"{scheme}-{width}.png", full_page=True)
    context.close()
    return [f"{width} {scheme}: {problem}" for problem in problems], plots, sections, pictures


def main():
    page_file = pathlib.Path(sys.argv[1]).resolve()
    folder = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
    found = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    if found is None:
        sys.exit("no Chromium is installed; scripts/browser.sh installs it")
    with sync_playwright() as playwright:
        # Its own sandbox does not work in containers; the page is the test's own.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        problems = []
        for width in [1280, 390]:
            for scheme in ["light", "dark"]:
                more, plots, sections, pictures = look(browser, page_file, width, scheme, folder)
                problems += more
        browser.close()
    json.dump({"problems": problems, "plots": plots, "sections": sections, "pictures": pictures}, sys.stdout)


main()

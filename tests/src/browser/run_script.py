"""Opens a page in headless Chromium, calls a function there and prints what it gives as JSON.

run_script.py PAGE SCRIPT ARGUMENTS: PAGE is a URL, SCRIPT a file with a JavaScript function, ARGUMENTS what it gets, in JSON.
"""

import json
import pathlib
import shutil
import sys

from playwright.sync_api import sync_playwright


def main():
    page_url, script, arguments = sys.argv[1], pathlib.Path(sys.argv[2]).read_text(), json.loads(sys.argv[3])
    found = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    if found is None:
        sys.exit("no Chromium is installed; scripts/browser.sh installs it")
    with sync_playwright() as playwright:
        # Its own sandbox does not work in containers; the page is the test's own.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(page_url)
        json.dump(page.evaluate(script, arguments), sys.stdout)
        browser.close()


main()

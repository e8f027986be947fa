# SPDX-License-Identifier: MIT
"""Fetches a URL into a file: fetch.py URL FILE"""
import shutil
import sys
import urllib.request

with urllib.request.urlopen(sys.argv[1], timeout=30) as response, open(sys.argv[2], "wb") as out:
    shutil.copyfileobj(response, out)

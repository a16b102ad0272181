package servehttp

import _ "example.com/tree/train/frame"

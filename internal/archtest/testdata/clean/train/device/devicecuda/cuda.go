package devicecuda

import _ "github.com/ebitengine/purego"

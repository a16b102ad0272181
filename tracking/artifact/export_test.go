package artifact

import "github.com/mlloop/mlloop/internal/atomicfile"

// DirOn is Dir on another disk.
func DirOn(disk atomicfile.Folder, path string) Store { return &dir{path: path, disk: disk} }

package artifact

import "github.com/mlloop/mlloop/internal/atomicfile"

// DirOn is Dir on another disk.
func DirOn(disk atomicfile.Folder, path string) Store { return &dir{path: path, disk: disk} }

// CacheOn is NewCache on another disk.
func CacheOn(disk atomicfile.Folder, path string) *Cache {
	c := NewCache(path, nil)
	c.disk = disk
	return c
}

package retraindbos

import (
	_ "example.com/tree/retrain"
	_ "github.com/dbos-inc/dbos-transact-golang/dbos"
)

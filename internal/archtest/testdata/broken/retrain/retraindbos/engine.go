package retraindbos

import _ "github.com/dbos-inc/dbos-transact-golang/dbos"

package retrainsql_test

import (
	"testing"

	"github.com/mlloop/mlloop/internal/sqltest"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retrainsql"
	"github.com/mlloop/mlloop/retrain/retraintest"
)

func TestStore(t *testing.T) {
	sqltest.Each(t, retrainsql.Schema(), func(t *testing.T, open sqltest.Open) {
		retraintest.RunStore(t, func(t *testing.T) retrain.Store { return retrainsql.New(open(t)) })
	})
}

func TestStoreInTheServicesTransaction(t *testing.T) {
	sqltest.EachTx(t, retrainsql.Schema(), func(t *testing.T, open sqltest.Open) {
		retraintest.RunStoreAlone(t, func(t *testing.T) retrain.Store { return retrainsql.New(open(t)) })
	})
}

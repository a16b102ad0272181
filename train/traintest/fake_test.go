package traintest_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/traintest"
)

func TestFake(t *testing.T) {
	traintest.Run(t, func(*testing.T) train.Trainer { return &traintest.Fake{} }, nil)
}

func TestFakeRemembersAndFails(t *testing.T) {
	var f traintest.Fake
	job := traintest.NewJob(t, 100, 1)
	full := errors.New("disk full")
	f.FailWith(full)
	_, err := f.Fit(t.Context(), job)
	require.ErrorIs(t, err, full)
	f.FailWith(nil)
	_, err = f.Fit(t.Context(), job)
	require.NoError(t, err)
	require.Len(t, f.Jobs(), 2)
	require.Equal(t, "leaves", f.Jobs()[0].Label)
}

package feature_test

import (
	"fmt"
	"strings"

	"github.com/mlloop/mlloop/train/feature"
	"github.com/mlloop/mlloop/train/frame"
)

func Example() {
	train, _ := frame.ReadCSV(strings.NewReader("age,plan\n30,basic\n40,pro\n50,basic\n,pro\n"), nil)

	p := feature.Pipeline{feature.Impute(), feature.Standardize(), feature.OneHot("plan")}
	fitted, err := p.Fit(train, []string{"age", "plan"})
	fmt.Println(fitted.Names(), err)

	x := make([]float32, fitted.Width())
	err = fitted.TransformRow(x, frame.Row{
		Schema: fitted.Inputs(),
		Values: []frame.Value{frame.IntValue(40), frame.StringValue("pro")},
	})
	fmt.Println(x, err)
	// Output:
	// [age plan=basic plan=pro] <nil>
	// [0 0 1] <nil>
}

func ExamplePipeline_Fit_errors() {
	t, _ := frame.ReadCSV(strings.NewReader("age,plan\n30,basic\n,pro\n"), nil)
	_, err := feature.Pipeline{feature.Standardize()}.Fit(t, []string{"age", "plan"})
	fmt.Println(err)
	_, err = feature.Pipeline{feature.OneHot("plan")}.Fit(t, []string{"age", "plan"})
	fmt.Println(err)
	// Output:
	// feature: fit: column "plan" is text: encode it with OneHot("plan"), or leave it out of the inputs
	// feature: fit: column "age": row 1 is missing; add feature.Impute()
}

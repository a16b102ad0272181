package frame

"""How good a result is: measures of pictures, and the losses that reshuffling connects."""

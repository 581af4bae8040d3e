"""Labels of whole videos and of their windows."""

"""The routes: parse, call one method of the layers below, show the result."""

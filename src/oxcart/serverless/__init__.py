"""Runs jobs that wait in SQS in AWS Lambda.

``oxcart.serverless.handler`` is the function's handler for the built-in e-mails and exports;
``make_handler`` makes one for an application of your own::

    handler = make_handler(app)
"""

from oxcart.serverless.entry import BuiltIn, LambdaHandler, make_handler

__all__ = ["LambdaHandler", "handler", "make_handler"]

handler = LambdaHandler(BuiltIn())
"""The function's handler for the built-in e-mails and exports."""

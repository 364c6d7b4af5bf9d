"""One file a page; each answers the operator's questions in order, by ``page(store)``.

The folder is not called ``pages``: Streamlit runs the files of a folder of that name beside the
app on their own, without the navigation, when a browser asks for one of them first.
"""
